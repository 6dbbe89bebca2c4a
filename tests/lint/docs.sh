#!/usr/bin/env bash
# What the documentation says of commands and keys is written from the tables in the source: it must be fresh.
set -eu
make -s docs-fresh
