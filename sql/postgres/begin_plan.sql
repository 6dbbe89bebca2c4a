-- One in which plans are asked for: nothing is executed that writes.
BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY
