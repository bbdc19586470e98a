"""Postgres, blobs and the spool (asyncpg, boto3 and sqlite3 stay in here)."""
