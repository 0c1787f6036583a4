"""The proof of the promises: everything is killed, everywhere, and the practice system's journal is judge."""
