"""State: the schema, the executors that run transactions, and the queries by noun. It decides nothing."""
