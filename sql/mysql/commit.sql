-- Whatever completion_type says, nothing follows. On MySQL the session may be idle again for as long as the server lets it: the
-- dialect's settings had cut that for the transaction.
COMMIT AND NO CHAIN NO RELEASE;
/*!80000 SET SESSION wait_timeout = DEFAULT */
