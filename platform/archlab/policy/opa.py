"""The other engine: an OPA server, asked through its REST API (openpolicyagent.org, REST API: Data, Policy)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from archlab.policy.answers import decision_from, denial
from archlab.policy.bundle import INDEX_KEY, SignedBundle
from archlab.policy.inforce import InForce
from archlab.settings import LabFolder
from archlab.spec.policy import Decision, Query

if TYPE_CHECKING:
    from opa_client.opa import OpaClient

TIMEOUT_S = 2.0


class OpaEngine:
    """Implements `archlab.spec.policy.PolicyEngine` with a server at `url`; the lab's bundle is put there first.

    Denies when the server does not answer, answers with an error, or can't be given the bundle. A server that lost the
    rules, because it was started again, is given them once more.
    """

    def __init__(self, folder: LabFolder, url: str) -> None:
        from opa_client.opa import OpaClient

        parts = urlsplit(url)
        self._in_force = InForce(folder)
        self._url = url
        self._lock = threading.Lock()
        self._digest = ""
        self._client: OpaClient = OpaClient(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or 8181,
            ssl=parts.scheme == "https",
            retries=0,
            timeout=TIMEOUT_S,
        )
        self._client._session.trust_env = False  # no proxies, no .netrc: they are looked up anew for every request

    @property
    def name(self) -> str:
        """What decisions say about who decided."""
        return f"opa at {self._url}"

    def decide(self, query: Query) -> Decision:
        """Decide one query; never raises."""
        import requests
        from opa_client import errors

        signed = self._in_force.current()
        if signed is None:
            return denial("no_bundle", self._in_force.fault, engine=self.name, bundle_digest="")
        try:
            return decision_from(self._ask(signed, query), engine=self.name, bundle_digest=signed.digest)
        except requests.HTTPError as error:
            said = error.response.text[:500] if error.response is not None else error
            return denial("engine_error", f"OPA failed: {said}", engine=self.name, bundle_digest=signed.digest)
        except requests.RequestException as error:
            message = f"The OPA server at {self._url} does not answer ({type(error).__name__})."
            return denial("engine_unreachable", message, engine=self.name, bundle_digest=signed.digest)
        except (errors.QueryExecuteError, errors.RegoParseError, errors.DeletePolicyError) as error:
            return denial("engine_error", f"OPA failed: {error}", engine=self.name, bundle_digest=signed.digest)
        except (ValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
            message = f"OPA's answer is no decision: {error}"
            return denial("engine_error", message, engine=self.name, bundle_digest=signed.digest)

    def close(self) -> None:
        """Let the connection go."""
        self._client.close_connection()

    def _ask(self, signed: SignedBundle, query: Query) -> Any:
        """The decision document's value."""
        document = query.model_dump(mode="json")
        with self._lock:
            for again in (False, True):
                if again or signed.digest != self._digest:
                    self._put(signed.bundle.modules)
                    self._digest = signed.digest
                answer = self._client.query_rule(
                    input_data=document,
                    package_path="archlab",
                    rule_name="decision",
                    query_params={"strict-builtin-errors": "true"},
                )
                if "result" in answer:
                    return answer["result"]
        return None

    def _put(self, modules: Mapping[str, str]) -> None:
        """Rules first, then the index that names them, then away with what the bundle has no more."""
        for name in sorted(modules, key=lambda name: (name == INDEX_KEY, name)):
            self._client.update_policy_from_string(modules[name], name, rego_compat=False)
        for name in set(self._client.get_policies_list()) - modules.keys():
            self._client.delete_policy(name)
