-- Where the data directory is, for who is on the same host: its path.
SELECT current_setting('data_directory')
