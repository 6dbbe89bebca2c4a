-- The planner would rather read a table of one page whole than go to a row's place; and the checkpoint's plan is kept while old
-- versions fill page after page.
SELECT pg_catalog.set_config('enable_seqscan', 'off', true)
