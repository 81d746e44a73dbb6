-- Unlinks one batch of them. Columns: how many, is there more? Safe to retry.
SELECT r.removed, r.more FROM blob_remove_orphans() r
