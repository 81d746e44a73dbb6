-- Unlinks one batch of the large objects of blobs that were removed. Columns: how many, is there more? Safe to retry.
SELECT s.removed, s.more FROM blob_sweep() s
