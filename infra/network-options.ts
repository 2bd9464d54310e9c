import * as z from "zod";

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
