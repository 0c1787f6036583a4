def test_a(ledger): pass
def test_b(ledger): pass
def test_c(ledger): pass
