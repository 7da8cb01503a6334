#!/bin/sh
# Takes out of an image's packages what nothing uses at run time: tests, C headers, Feast's web pages, other services'
# descriptions, debuggers' symbols.
set -eu
cd /opt/archlab/lib/python3*/site-packages
find . -type d \( -name tests -o -name test \) -not -path './mlflow/*' -prune -exec rm -rf {} +
find . -type d -name __pycache__ -prune -exec rm -rf {} +
if [ -d botocore/data ]; then # of four hundred services, the one that is used and those that give its keys
  find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +
fi
rm -rf pyarrow/include pyarrow/tests numpy/_core/include ./*/include/boost feast/ui
# those that carry many, and that no tool has moved sections of: strip would break what patchelf has changed
find . \( -path './ml_dtypes/*.so' -o -path './uvloop/*.so' -o -path './pyarrow/lib*.so.[0-9]*' \) -exec strip --strip-unneeded {} +
