"""What Casehand is held against, each run as its documentation says."""
