import * as z from "zod";

/** An error of a stage's configuration, at its key. */
export interface OptionFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

interface Home {
  readonly account: string;
  readonly region: string;
}

export const PROXY_ARN = /^arn:aws[a-z-]*:rds:([a-z0-9-]+):(\d{12}):db-proxy:(prx-[0-9a-z]+)$/;

interface Housed {
  readonly home?: Home | undefined;
  readonly proxy?: { readonly arn: string } | undefined;
}

/** Account and region of the stage, from `home` or else from the proxy's ARN. */
export function homeOf({ proxy, home }: Housed): Home {
  if (home) return home;
  const [, region = "", account = ""] = PROXY_ARN.exec(proxy?.arn ?? "") ?? [];
  return { account, region };
}

const text = z.string().catch("");
const texts = z.array(text).catch([]);
const part = <Shape extends z.ZodRawShape>(shape: Shape) => z.object(shape).optional().catch(undefined);

/** The options that name a region or an account. An invalid key has an error of its own, and is read as missing. */
const places = z.object({
  home: part({ account: text, region: text }),
  proxy: part({ arn: text }),
  vpc: part({ availabilityZones: texts }),
  emailIdentityArns: texts,
  sms: part({ originationIdentityArn: text }),
  webhook: part({ secretArn: text, secretKeyArn: text }),
  webhooks: part({ domain: part({ certificateArn: text }) }),
  alarms: part({ topics: part({ page: text, ticket: text }) }),
  permissionsBoundary: text,
});
type Places = z.output<typeof places>;

/** The errors of a stage that names what its functions cannot use, because it is in another region or account. */
export function faultsOfPlacement(stage: unknown): readonly OptionFault[] {
  const found = places.parse(stage);
  const home = homeOf(found);
  if (!home.region) return [];
  return [...faultsOfZones(found, home), ...faultsOfChannels(found, home), ...faultsOfOthers(found, home)];
}

const faultsOfZones = ({ vpc }: Places, { region }: Home): readonly OptionFault[] =>
  (vpc?.availabilityZones ?? []).flatMap((zone, index) =>
    /-\d[a-z]$/.test(zone) && zone.slice(0, -1) !== region
      ? [{ path: ["vpc", "availabilityZones", index], message: `is not a zone of the stage's region, ${region}` }]
      : [],
  );

/** A client calls its provider in the function's region. AWS shares origination identities between accounts. */
function faultsOfChannels({ emailIdentityArns, sms, webhook }: Places, home: Home): readonly OptionFault[] {
  const ses = "SES sends only with identities of the function's own region and account";
  const { region: ofSecret } = placeOf(webhook?.secretArn);
  return [
    ...emailIdentityArns.flatMap((arn, index) => elsewhere(["emailIdentityArns", index], arn, home, ses)),
    ...elsewhere(["sms", "originationIdentityArn"], sms?.originationIdentityArn, { region: home.region }, SAME_REGION),
    ...elsewhere(
      ["webhook", "secretKeyArn"],
      webhook?.secretKeyArn,
      { region: ofSecret },
      "a secret's key is beside it",
    ),
  ];
}

const faultsOfOthers = (
  { alarms, webhooks, permissionsBoundary }: Places,
  { region, account }: Home,
): readonly OptionFault[] => [
  ...elsewhere(
    ["webhooks", "domain", "certificateArn"],
    webhooks?.domain?.certificateArn,
    { region, account },
    "API Gateway uses certificates of its own region and account",
  ),
  ...(["page", "ticket"] as const).flatMap((severity) =>
    elsewhere(
      ["alarms", "topics", severity],
      alarms?.topics?.[severity],
      { region },
      "an alarm notifies topics of its own region",
    ),
  ),
  ...elsewhere(["permissionsBoundary"], permissionsBoundary, { account }, "a boundary is a policy of its own account"),
];

const SAME_REGION = "the functions send texts in their own region";

/** The error of an ARN that is not in the wanted place. A part that either side lacks is not compared. */
function elsewhere(
  path: OptionFault["path"],
  arn: string | undefined,
  wanted: Partial<Home>,
  why: string,
): OptionFault[] {
  const actual = placeOf(arn);
  const keys = ["region", "account"] as const;
  const wrong = keys.filter((key) => wanted[key] && actual[key] && wanted[key] !== actual[key]);
  if (wrong.length === 0) return [];
  const named = (place: Partial<Home>) => wrong.map((key) => `${key} ${place[key]}`).join(", ");
  return [{ path, message: `is in ${named(actual)} instead of ${named(wanted)}: ${why}` }];
}

/** Region and account of an ARN; empty where it has none, as a policy that AWS manages has no account. */
function placeOf(arn = ""): Home {
  const [, , , region = "", account = ""] = arn.split(":");
  return { region, account: account === "aws" ? "" : account };
}

export const idOf = (kind: string) =>
  z.string().regex(new RegExp(`^${kind}-[0-9a-f]{8,17}$`), `must be an id such as ${kind}-0123456789abcdef0`);

const vpcFields = z.strictObject({
  availabilityZones: z
    .array(z.string().regex(/^[a-z]{2}(?:-[a-z]+)+-\d[a-z]$/, "must be a zone such as eu-central-1a"))
    .min(1),
  vpcId: idOf("vpc").optional(),
  privateSubnetIds: z.array(idOf("subnet")).min(1).optional(),
});

/** The network of a stage, existing or to be created. */
export const vpc = vpcFields
  .refine(({ availabilityZones, privateSubnetIds = [] }) => privateSubnetIds.length % availabilityZones.length === 0, {
    error: "requires the same number of privateSubnetIds in each availability zone",
    when: ({ value }) => vpcFields.safeParse(value).success,
  })
  .refine((found) => (found.vpcId === undefined) === (found.privateSubnetIds === undefined), {
    error: "requires both vpcId and privateSubnetIds, or neither if the stack creates the network",
    when: ({ value }) => z.object({}).safeParse(value).success,
  });
