"""OpenID Connect: who somebody is by the word of the council's identity provider, with Authlib."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import urlencode

import httpx2
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from casehand.console.person import Person
from casehand.console.rights import Role
from casehand.console.web.settings import ConsoleSettings

log = structlog.get_logger()

SECONDS = 10.0
LEEWAY_SECONDS = 120
"""The clocks of two machines may differ by so much."""
FRESH = timedelta(hours=1)
"""How long what the provider says of itself is taken as said."""
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""Only those with a public key: with any other, who knows our secret could write tokens."""
LONGEST_ID = 200


class NotSignedIn(Exception):
    """The sign-in did not come about; the text says why, for the log and not for the person."""


class NoRole(Exception):
    """Somebody is who he says, but none of his groups has a role here."""


@dataclass(frozen=True)
class Keys:
    """What a sign-in is tied to a browser by: both are made from the browser's own secret and the state."""

    nonce: str
    verifier: str

    @classmethod
    def of(cls, secret: str, state: str) -> "Keys":
        """The keys of one sign-in."""
        return cls(_derived(secret, f"nonce {state}"), _derived(secret, f"verifier {state}"))


@dataclass
class Provider:
    """The identity provider, as it says of itself."""

    console: ConsoleSettings
    clock: Callable[[], datetime]
    _said: Mapping[str, Any] | None = None
    _said_at: datetime | None = None
    _key_set: Mapping[str, Any] | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def back(self) -> str:
        """Where the provider sends people back to."""
        return f"{self.console.address}/sign-in/back"

    def sign_in_address(self, state: str, keys: Keys) -> str:
        """Where a person signs in. Raises NotSignedIn when the provider does not answer."""
        with self._client() as client:
            address, _ = client.create_authorization_url(
                self._metadata("authorization_endpoint"),
                state=state,
                nonce=keys.nonce,
                code_verifier=keys.verifier,
                redirect_uri=self.back,
            )
        return str(address)

    def sign_out_address(self, after: str) -> str | None:
        """Where a person ends his session with the provider itself, if that can be done."""
        try:
            endpoint = self._all_metadata().get("end_session_endpoint")
        except NotSignedIn:
            return None
        query = urlencode({"client_id": self.console.oidc_client or "", "post_logout_redirect_uri": after})
        return f"{endpoint}?{query}" if endpoint else None

    def person(self, answer: Mapping[str, str], keys: Keys) -> Person:
        """Who it is that comes back with an answer. Raises NotSignedIn or NoRole."""
        self._check_answer(answer)
        try:
            with self._client() as client:
                token = client.fetch_token(
                    self._metadata("token_endpoint"),
                    code=answer["code"],
                    code_verifier=keys.verifier,
                    redirect_uri=self.back,
                    grant_type="authorization_code",
                )
                claims = self._claims(token, keys.nonce)
                if self.console.oidc_groups not in claims and "userinfo_endpoint" in self._all_metadata():
                    claims = {**self._userinfo(client, claims["sub"]), **claims}
        except (AuthlibBaseError, JoseError, httpx2.HTTPError, KeyError, TypeError, ValueError) as error:
            # The text may hold a token.
            raise NotSignedIn(f"the answer was not accepted: {type(error).__name__}") from None
        return self._person(claims)

    def _check_answer(self, answer: Mapping[str, str]) -> None:
        if "code" not in answer:
            raise NotSignedIn("the provider sent no code")
        if answer.get("iss", self._issuer) != self._issuer:
            raise NotSignedIn("another provider answered")

    def _client(self) -> OAuth2Client:
        secret = self.console.oidc_secret
        return OAuth2Client(
            client_id=self.console.oidc_client,
            client_secret=None if secret is None else secret.get_secret_value(),
            token_endpoint_auth_method="none" if secret is None else "client_secret_basic",
            scope=self.console.oidc_scope,
            code_challenge_method="S256",
            timeout=SECONDS,
            follow_redirects=False,
        )

    def _claims(self, token: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """What the ID token says, checked as the standard wants it."""
        decoded = self._decoded(token["id_token"])
        options = {"iss": {"essential": True, "values": [self._issuer]}}
        params = {
            "nonce": nonce,
            "client_id": self.console.oidc_client,
            "access_token": token["access_token"],
        }
        claims = CodeIDToken(decoded.claims, decoded.header, options, params)
        claims.validate(now=int(self.clock().timestamp()), leeway=LEEWAY_SECONDS)
        audience = claims["aud"]
        if self.console.oidc_client not in ([audience] if isinstance(audience, str) else audience):
            raise ValueError("the token is for another")
        return dict(claims)

    def _decoded(self, id_token: str) -> jwt.Token:
        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        try:
            return jwt.decode(id_token, self._keys(), registry=registry)
        except (InvalidKeyIdError, BadSignatureError):
            # The provider may have new keys.
            return jwt.decode(id_token, self._keys(anew=True), registry=registry)

    def _userinfo(self, client: OAuth2Client, subject: str) -> dict[str, Any]:
        said: dict[str, Any] = client.get(self._metadata("userinfo_endpoint")).raise_for_status().json()
        if said.get("sub") != subject:
            raise ValueError("the user info is of another")
        return said

    def _person(self, claims: Mapping[str, Any]) -> Person:
        roles = self._roles(claims.get(self.console.oidc_groups))
        name = _text(claims, self.console.oidc_person)
        if self.console.oidc_person == "email" and claims.get("email_verified") is False:
            name = None
        person = name or _text(claims, "sub")
        if not person or len(person) > LONGEST_ID:
            raise NotSignedIn("the provider names nobody")
        if not roles:
            log.warning("sign_in.no_role", person=person)
            raise NoRole
        return Person(person, (_text(claims, "name") or person)[:LONGEST_ID], roles)

    def _roles(self, groups: object) -> dict[str, frozenset[Role]]:
        """The roles of all of somebody's groups together."""
        found: dict[str, frozenset[Role]] = {}
        names = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        for group in names:
            for workflow, roles in self.console.roles.get(str(group), {}).items():
                found[workflow] = found.get(workflow, frozenset()) | frozenset(roles)
        return found

    @property
    def _issuer(self) -> str:
        return str(self.console.oidc_issuer)

    def _metadata(self, name: str) -> str:
        try:
            return str(self._all_metadata()[name])
        except KeyError:
            raise NotSignedIn(f"the provider says nothing of its {name}") from None

    def _all_metadata(self) -> Mapping[str, Any]:
        with self._lock:
            now = self.clock()
            if self._said is None or self._said_at is None or now - self._said_at > FRESH:
                said = _fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                if said.get("issuer") != self._issuer:
                    raise NotSignedIn(
                        "the provider calls itself by another name than CASEHAND_CONSOLE_OIDC_ISSUER"
                    )
                self._said, self._said_at, self._key_set = said, now, None
            return self._said

    def _keys(self, anew: bool = False) -> KeySet:
        address = self._metadata("jwks_uri")
        if self._key_set is None or anew:
            self._key_set = _fetch(address)
        return KeySet.import_key_set(self._key_set)  # type: ignore[arg-type]


def _fetch(address: str) -> dict[str, Any]:
    try:
        answer = httpx2.get(address, timeout=SECONDS, follow_redirects=False).raise_for_status()
        said = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise NotSignedIn(f"the provider does not answer: {type(error).__name__}") from None
    if not isinstance(said, dict):
        raise NotSignedIn("the provider answers with something else")
    return said


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value.strip() and value.isprintable() else None


def _derived(secret: str, of: str) -> str:
    made = hmac.new(secret.encode(), of.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
