"""Texts that differ between the engines, for tests that run on both; what both understand is written plainly in the test."""

import json


class PostgresDialect:
    @staticmethod
    def quote(name):
        return f'"{name}"'

    @staticmethod
    def series(first, last):
        """For FROM: i is first … last."""
        return f"generate_series({first}, {last}) i"

    @staticmethod
    def after(event, table, condition, statement):
        """A trigger that runs the statement for each row where the condition holds; with its owner's rights, as MySQL's do."""
        name = f"after_{event}_{table.replace('.', '_')}".lower()
        return f"""CREATE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
            $$ BEGIN {statement}; RETURN NULL; END $$;
            CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION public.{name}()"""

    @staticmethod
    def differ(one, other):
        """NULL or not."""
        return f"{one} IS DISTINCT FROM {other}"

    @staticmethod
    def first_of(keys):
        """The first element of the control tables' keys, a whole number."""
        return f"({keys}::jsonb ->> 0)::bigint"

    @staticmethod
    def array(value):
        """A list of the texts of backfill.kept."""
        return value

    @staticmethod
    def slept(seconds):
        """True after a sleep, once a statement."""
        return f"(SELECT true FROM pg_sleep({seconds}))"


class MySQLDialect:
    @staticmethod
    def quote(name):
        return f"`{name}`"

    @staticmethod
    def series(first, last):
        return (f"(WITH RECURSIVE numbers AS (SELECT CAST({first} AS signed) AS i UNION ALL SELECT i + 1 FROM numbers WHERE i < {last})"
                f" SELECT i FROM numbers WHERE i <= {last}) i")

    @staticmethod
    def after(event, table, condition, statement):
        name = f"after_{event}_{table.replace('.', '_')}".lower()
        return f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW IF {condition} THEN {statement}; END IF"

    @staticmethod
    def differ(one, other):
        return f"NOT ({one} <=> {other})"

    @staticmethod
    def first_of(keys):
        return f"CAST(json_value({keys}, '$[0]') AS signed)"

    @staticmethod
    def array(value):
        return None if value is None else json.loads(value)

    @staticmethod
    def slept(seconds):
        return f"(SELECT s = 0 FROM (SELECT sleep({seconds}) AS s LIMIT 1) d)"
