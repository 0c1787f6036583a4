// An identity provider for the tests: oidc-provider, which is certified for OpenID Connect, with invented people.
// Prints its address, and is set up anew by whatever JSON is posted to /set-up.
import { createServer } from "node:http";
import { generateKeyPair, exportJWK } from "jose";
import Provider from "oidc-provider";

const PEOPLE = {
  "s.sample": { name: "Sam Sample", email: "s.sample@example.test", email_verified: true, groups: ["casehand-supervisors", "parking"] },
  "v.sample": { name: "Vic Sample", email: "v.sample@example.test", email_verified: true, groups: ["casehand-viewers"] },
  "o.sample": { name: "Oli Sample", email: "o.sample@example.test", email_verified: true, groups: ["gardeners"] },
  "u.sample": { name: "Uma Sample", email: "s.sample@example.test", email_verified: false, groups: ["casehand-viewers"] },
};

let provider;
let set = { claimsInToken: false, redirect: "http://127.0.0.1/", secret: "only-for-tests", keys: 0 };

async function signingKey(kid) {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  return { ...(await exportJWK(privateKey)), alg: "RS256", use: "sig", kid };
}

async function setUp() {
  const made = new Provider(`http://127.0.0.1:${server.address().port}`, {
    clients: [{
      client_id: "casehand",
      client_secret: set.secret,
      redirect_uris: [`${set.redirect}/sign-in/back`],
      post_logout_redirect_uris: [`${set.redirect}/sign-in`],
    }],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
    conformIdTokenClaims: !set.claimsInToken,
    cookies: { keys: ["only-for-tests"] },
    features: { rpInitiatedLogout: { enabled: true } },
    jwks: { keys: [await signingKey(`key-${set.keys}`)] },
    pkce: { required: () => true },
    findAccount: (context, id) => PEOPLE[id] && { accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) },
    // Nobody is asked whether Casehand may know who he is.
    loadExistingGrant: async (context) => {
      const grant = new context.oidc.provider.Grant({
        clientId: context.oidc.client.clientId, accountId: context.oidc.session.accountId,
      });
      grant.addOIDCScope("openid profile email groups");
      await grant.save();
      return grant;
    },
  });
  made.on("server_error", (context, error) => console.error(error));
  provider = made.callback();
}

const server = createServer(async (request, response) => {
  if (request.method !== "POST" || request.url !== "/set-up") return provider(request, response);
  const parts = [];
  for await (const part of request) parts.push(part);
  set = { ...set, ...JSON.parse(Buffer.concat(parts).toString() || "{}") };
  await setUp();
  response.writeHead(204).end();
});

server.listen(0, "127.0.0.1", async () => {
  await setUp();
  console.log(`http://127.0.0.1:${server.address().port}`);
});
process.stdin.on("end", () => process.exit()).resume();
