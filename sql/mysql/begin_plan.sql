-- One in which plans are asked for: nothing is executed that writes. Both servers refuse the EXPLAIN of a write in a READ ONLY one (1792).
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
START TRANSACTION READ WRITE
