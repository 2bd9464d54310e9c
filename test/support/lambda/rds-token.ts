import { createHash, createHmac } from "node:crypto";

/** The expected contents of a token and the keys that sign it. */
export interface TokenRules {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * Returns why a token is invalid; undefined if it is valid. Implements AWS's description of Signature Version 4 for
 * query strings without the library that signs, so that both sides cannot share a bug.
 */
export function faultOfToken(token: string, rules: TokenRules, user: string, now: number): string | undefined {
  if (!URL.canParse(`https://${token}`)) return "the password is no token";
  const { host, pathname, searchParams } = new URL(`https://${token}`);
  const given = (key: string) => searchParams.get(key) ?? "";
  if (host !== `${rules.host}:${rules.port}` || pathname !== "/") return `it is for ${host}`;
  if (given("Action") !== "connect") return "it is not for a connection";
  if (user !== rules.user || given("DBUser") !== rules.user) return "it is for another user";
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(given("X-Amz-Date")) ?? [];
  const signedAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const lifetimeMs = Number(given("X-Amz-Expires")) * 1_000;
  if (!(lifetimeMs > 0 && lifetimeMs <= 900_000 && now < signedAt + lifetimeMs)) return "it has expired";
  return signatureOf(searchParams, host, rules) === given("X-Amz-Signature") ? undefined : "its signature is wrong";
}

function signatureOf(query: URLSearchParams, host: string, rules: TokenRules): string {
  const date = query.get("X-Amz-Date") ?? "";
  const scope = [date.slice(0, 8), rules.region, "rds-db", "aws4_request"];
  if (query.get("X-Amz-Credential") !== [rules.accessKeyId, ...scope].join("/")) return "another's";
  const canonicalQuery = [...query]
    .filter(([key]) => key !== "X-Amz-Signature")
    .map(([key, value]) => `${escaped(key)}=${escaped(value)}`)
    .sort()
    .join("&");
  const request = ["GET", "/", canonicalQuery, `host:${host}`, "", "host", sha256("")].join("\n");
  const text = ["AWS4-HMAC-SHA256", date, scope.join("/"), sha256(request)].join("\n");
  const key = scope.reduce((secret: string | Buffer, part) => hmac(secret, part), `AWS4${rules.secretAccessKey}`);
  return hmac(key, text).toString("hex");
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
const escaped = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
