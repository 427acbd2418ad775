//! Two stores side by side: dual write, compared reads, comparing Postgres with Postgres, calculations in the shadow.
