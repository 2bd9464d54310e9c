import type { LeadFields } from "./lead-fields.ts";

/**
 * The text columns of a lead that facts, CSV files and templates use. Schemas, SQL, CSV headings, template names and
 * docs are derived from this list. A new column needs an entry here, a migration and a line in `schema.prisma`.
 */
interface LeadColumn {
  /** Its name in SQL and in CSV headings. Templates read it as `lead.<column>`. */
  readonly column: string;
  /** Other names in CSV headings. If a file has several, the first one with a value counts. */
  readonly aliases?: readonly string[];
  /** Whether templates may read it. */
  readonly inTemplates: boolean;
  /** The maximum length in characters. */
  readonly longest: number;
  /** A valid value, for samples and help texts. */
  readonly example: string;
  /** For the docs of events. */
  readonly description?: string;
}

const columns = {
  externalId: {
    column: "external_id",
    inTemplates: false,
    longest: 200,
    example: "crm-17",
    description: "The sender's own id of the lead.",
  },
  email: {
    column: "email",
    aliases: ["email address"],
    inTemplates: true,
    longest: 320,
    example: "ada@example.com",
    description: "Exactly one address.",
  },
  firstName: { column: "first_name", inTemplates: true, longest: 200, example: "Ada" },
  lastName: { column: "last_name", inTemplates: true, longest: 200, example: "Byron" },
  company: {
    column: "company",
    aliases: ["company name"],
    inTemplates: true,
    longest: 200,
    example: "Analytical Engines",
  },
  phone: {
    column: "phone",
    aliases: ["mobile phone", "mobile", "phone number"],
    inTemplates: true,
    longest: 40,
    example: "+4930123456",
    description:
      "In the international form, or a national number of the workspace's country. Stored in E.164 if it is exactly one number.",
  },
  linkedinUrl: {
    column: "linkedin_url",
    aliases: ["linkedin"],
    inTemplates: false,
    longest: 500,
    example: "https://linkedin.com/in/ada",
  },
  timeZone: {
    column: "time_zone",
    inTemplates: false,
    longest: 60,
    example: "Europe/Berlin",
    description: "An IANA time zone. Abbreviations such as `PST` and `IST` are rejected: each means several zones.",
  },
  senderName: {
    column: "sender_name",
    inTemplates: true,
    longest: 200,
    example: "Hana Weber",
    description: "The person who follows up this lead. E-mails show it as the sender's name.",
  },
  senderEmail: {
    column: "sender_email",
    inTemplates: true,
    longest: 320,
    example: "hana@harbour.example",
    description: "The address that this lead's e-mails come from. Default: the workspace's sender.",
  },
  replyTo: {
    column: "reply_to",
    inTemplates: true,
    longest: 320,
    example: "hana.replies@harbour.example",
    description: "The address that answers to this lead's e-mails go to. Default: where they come from.",
  },
} as const satisfies Readonly<Record<string, LeadColumn>>;

/** The name of a column in code and in facts. */
export type LeadKey = keyof typeof columns;

export const LEAD_COLUMNS: Readonly<Record<LeadKey, LeadColumn>> = columns;
export const LEAD_KEYS = Object.keys(columns) as readonly LeadKey[];

/** A column that templates may read. */
export type TemplateKey = {
  [Key in LeadKey]: (typeof columns)[Key]["inTemplates"] extends true ? Key : never;
}[LeadKey];

export const TEMPLATE_KEYS = LEAD_KEYS.filter((key) => columns[key].inTemplates) as readonly TemplateKey[];

/** The values of a lead that templates may read. */
export type TemplateLead = Readonly<Record<TemplateKey, string | null>> & { readonly fields: LeadFields };

/** Whether a stored value counts. Null and blank text do not. */
export const isGiven = (value: string | null): value is string => value !== null && value.trim() !== "";
