-- InnoDB defers no constraint.
DO 0
