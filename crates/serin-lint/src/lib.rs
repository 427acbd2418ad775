//! What a migration of Postgres would lock, rewrite or break, before it runs.
