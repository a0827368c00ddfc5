"""What came of the runs: statistics, tables, the rules that decide claims, and figures."""
