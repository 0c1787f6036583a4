"""The benchmarks, and the peers that Casehand is held against: `make bench`."""
