-- InnoDB goes to the segment's row by its primary key, and to older versions only for who reads an old snapshot.
DO 0
