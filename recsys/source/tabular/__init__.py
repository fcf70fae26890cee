"""Reads rows out of CSV and Parquet files without losing one; `recsys.source.table` gives them their meaning."""
