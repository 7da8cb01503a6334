"""One connection to a Kubernetes cluster, and what its refusals mean for whoever typed the command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from archlab.errors import ArchlabError, RefusedError, UnavailableError, UserError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient


def connect(context: str | None = None) -> ApiClient:
    """A client for the kubeconfig's context (KUBECONFIG, else ~/.kube/config).

    Args:
        context: the context's name; the current one when None.

    Raises:
        UserError: the `kubernetes` package is not installed, or no cluster is named.
    """
    try:
        from kubernetes import config
    except ImportError:
        raise UserError(
            "The package `kubernetes` is not installed.", "Install it: pip install 'archlab[kube]'"
        ) from None
    try:
        return config.new_client_from_config(context=context)
    except (config.ConfigException, OSError) as error:
        raise UserError(
            f"No cluster is named: {error}",
            "Make one (kind create cluster), or set KUBECONFIG; kubectl config get-contexts lists what there is.",
        ) from None


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what the API server answers into our errors.

    Args:
        doing: completes `… is not allowed in this cluster`, e.g. `Reading nodes`.

    Raises:
        RefusedError: the user has not the rights.
        UnavailableError: the API server does not answer.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        if error.status in (401, 403):
            raise RefusedError(
                f"{doing} is not allowed in this cluster to the user of this kubeconfig ({error.status}).",
                "Ask for the rights, or take another context: kubectl config get-contexts",
            ) from None
        raise ArchlabError(f"{doing} failed: {error.status} {error.reason}.") from None
    except HTTPError as error:
        raise UnavailableError(
            f"The cluster does not answer: {error}", "See which one is meant: kubectl cluster-info"
        ) from None
