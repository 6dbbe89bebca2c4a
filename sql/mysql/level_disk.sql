-- Where the data directory is, for who is on the same host: its path.
SELECT @@global.datadir
