import type { LeadKey } from "../../lib/domain/lead-columns.ts";
import type { FieldTarget } from "./field-columns.ts";

/** The meaning of a column of a file: a column of the lead, a custom field of the lead, or a fact about the row. */
export type Target = LeadKey | FieldTarget | RowFact;

/**
 * `country`: where national phone numbers of the row belong. `optedOut`: whether the person must not be contacted.
 */
export type RowFact = "country" | "optedOut";

/** The columns that a CRM exports. Headings are compared without case, spaces and punctuation. */
export interface CrmExport {
  readonly name: string;
  /** Headings that only this CRM has. */
  readonly signs: readonly string[];
  /** The prefix of each heading, which only names the kind of record. */
  readonly prefix?: string;
  /** The headings of each target. The first one with a usable value counts. */
  readonly columns: Readonly<Partial<Record<Target, readonly string[]>>>;
  /** Headings of the CRM's own bookkeeping. */
  readonly ignored: readonly string[];
  /** Whether the file ends with lines about the report: its name, a copyright notice, and who made it when. */
  readonly hasFooter?: boolean;
}

const HUBSPOT: CrmExport = {
  name: "HubSpot",
  signs: ["Record ID", "Record ID - Contact", "Marketing contact status", "Unsubscribed from all email"],
  columns: {
    externalId: ["Record ID", "Record ID - Contact"],
    email: ["Email", "Work email"],
    phone: ["Mobile Phone Number", "Phone Number"],
    company: ["Company name", "Associated Company", "Primary Associated Company", "Associated Company (Primary)"],
    linkedinUrl: ["LinkedIn URL", "LinkedIn Profile URL"],
    timeZone: ["Time Zone"],
    country: ["Country/Region", "Country", "Country/Region Code"],
    optedOut: ["Unsubscribed from all email"],
  },
  ignored: [
    "Associated Company IDs",
    "Associated Contact IDs",
    "Associated Deal",
    "Associated Deal IDs",
    "Associated Note",
    "Associated Note IDs",
    "Became a Lead Date",
    "Became a Marketing Qualified Lead Date",
    "Became an Opportunity Date",
    "Contact owner",
    "Contact unworked",
    "Create Date",
    "Email Domain",
    "Last Activity Date",
    "Last Contacted",
    "Last Engagement Date",
    "Last Modified Date",
    "Lead Status",
    "Lifecycle Stage",
    "Marketing contact status",
    "Next Activity Date",
    "Number of Associated Deals",
    "Number of Sales Activities",
    "Original Source",
    "Original Source Drill-Down 1",
    "Original Source Drill-Down 2",
    "Primary Associated Company ID",
    "Record source",
    "Record source detail 1",
  ],
};

const APOLLO: CrmExport = {
  name: "Apollo",
  signs: ["Person Linkedin Url", "Apollo Contact Id", "Company Name for Emails"],
  columns: {
    externalId: ["Apollo Contact Id"],
    phone: ["Mobile Phone", "Work Direct Phone", "Other Phone"],
    company: ["Company Name for Emails", "Company", "Company Name"],
    linkedinUrl: ["Person Linkedin Url"],
    country: ["Country"],
    optedOut: ["Stage"],
  },
  // The numbers of the company and of the home are not the person's at work.
  ignored: [
    "# Employees",
    "Account Owner",
    "Account Stage",
    "Annual Revenue",
    "Apollo Account Id",
    "Apollo Record Id",
    "Call Status",
    "Company Address",
    "Company Linkedin Url",
    "Company Phone",
    "Contact Owner",
    "Corporate Phone",
    "Demoed",
    "Do Not Call",
    "Email Bounced",
    "Email Confidence",
    "Email Open",
    "Email Sent",
    "Email Status",
    "Facebook Url",
    "Home Phone",
    "Keywords",
    "Last Contacted",
    "Last Raised At",
    "Latest Funding",
    "Latest Funding Amount",
    "Lists",
    "NAICS Codes",
    "Number of Retail Locations",
    "Primary Email Catch-all Status",
    "Primary Email Last Verified At",
    "Primary Email Source",
    "Primary Email Verification Source",
    "Primary Intent Score",
    "Primary Intent Topic",
    "Qualify Contact",
    "Replied",
    "SEO Description",
    "SIC Codes",
    "Secondary Email",
    "Secondary Email Source",
    "Secondary Email Status",
    "Secondary Email Verification Source",
    "Secondary Intent Score",
    "Secondary Intent Topic",
    "Subsidiary of",
    "Technologies",
    "Tertiary Email",
    "Tertiary Email Source",
    "Tertiary Email Status",
    "Tertiary Email Verification Source",
    "Total Funding",
    "Twitter Url",
  ],
};

const SALESFORCE: CrmExport = {
  name: "Salesforce",
  signs: [
    "Lead ID",
    "Contact ID",
    "Company / Account",
    "Lead Owner",
    "Account Name",
    "Email Opt Out",
    "HasOptedOutOfEmail",
    "SystemModstamp",
  ],
  columns: {
    externalId: ["Lead ID", "Contact ID", "Id"],
    phone: ["Mobile", "Mobile Phone", "Phone"],
    company: ["Company / Account", "Company", "Account Name", "Account.Name"],
    country: ["Country", "Mailing Country", "Country Code"],
    optedOut: ["Email Opt Out", "HasOptedOutOfEmail", "Do Not Contact"],
  },
  ignored: [
    "Account ID",
    "Account Owner",
    "AccountId",
    "Contact Owner",
    "Converted",
    "Created By",
    "Created Date",
    "CreatedById",
    "Create Date",
    "Do Not Call",
    "Fax",
    "Fax Opt Out",
    "HasOptedOutOfFax",
    "IsConverted",
    "IsDeleted",
    "Last Activity",
    "Last Activity Date",
    "LastActivityDate",
    "Last Modified By",
    "Last Modified Date",
    "LastModifiedById",
    "LastModifiedDate",
    "LastReferencedDate",
    "LastViewedDate",
    "Lead Owner",
    "Lead Status",
    "MasterRecordId",
    "Owner Role",
    "OwnerId",
    "PhotoUrl",
    "Rating",
    "RecordTypeId",
    "Status",
    "SystemModstamp",
  ],
  hasFooter: true,
};

const PIPEDRIVE: CrmExport = {
  name: "Pipedrive",
  signs: ["Person - ID", "Person - Name", "Person - Email - Work", "Person - Email", "Person - Organization"],
  prefix: "Person - ",
  columns: {
    externalId: ["ID"],
    firstName: ["First name"],
    lastName: ["Last name"],
    email: ["Email - Work", "Email", "Email - Other", "Email - Home"],
    phone: ["Phone - Mobile", "Phone - Work", "Phone", "Phone - Other"],
    company: ["Organization", "Organization - Name"],
    linkedinUrl: ["LinkedIn", "LinkedIn profile", "LinkedIn URL", "LinkedIn Page"],
    optedOut: ["Marketing status"],
  },
  ignored: [
    "Activities to do",
    "Add time",
    "Closed deals",
    "Done activities",
    "Double opt-in",
    "Email messages count",
    "Instant messenger",
    "Label",
    "Labels",
    "Last activity date",
    "Last email received",
    "Last email sent",
    "Lost deals",
    "Name",
    "Next activity date",
    "Open deals",
    "Owner",
    "Person created",
    "Phone - Home",
    "Total activities",
    "Update time",
    "Visible to",
    "Won deals",
  ],
};

/** Headings of facts about a row that any file may have. */
export const ROW_FACTS: Readonly<Record<RowFact, readonly string[]>> = {
  country: ["Country", "Country Code"],
  optedOut: ["Opted Out", "Email Opt Out", "Unsubscribed", "Do Not Contact"],
};

/** The first CRM whose own headings the file has counts. */
export const CRM_EXPORTS: readonly CrmExport[] = [PIPEDRIVE, APOLLO, HUBSPOT, SALESFORCE];
