#!/bin/sh
# Takes out of an image's packages what nothing imports at run time: tests, type stubs' sources, C headers.
set -eu
cd /opt/archlab/lib/python3*/site-packages
find . -type d \( -name tests -o -name test \) -not -path './mlflow/*' -prune -exec rm -rf {} +
find . -type d -name __pycache__ -prune -exec rm -rf {} +
rm -rf pyarrow/include pyarrow/tests numpy/_core/include ./*/include/boost
