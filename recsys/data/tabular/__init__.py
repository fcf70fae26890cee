"""Reads rows out of CSV and Parquet files without losing one; `recsys.data.table` gives them their meaning."""
