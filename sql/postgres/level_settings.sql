-- A probe that is slow must not become a load.
SELECT set_config('statement_timeout', '1000', true), set_config('jit', 'off', true)
