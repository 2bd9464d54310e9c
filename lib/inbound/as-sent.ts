import { isRecord } from "../domain/record.ts";

/** Whether a key holds nothing: CRMs and no-code tools send null or a blank text for an empty field. */
const isEmpty = (value: unknown): boolean => value === null || (typeof value === "string" && value.trim() === "");

/** A record without its empty keys; any other value as it is. */
export const withoutEmpty = (value: unknown): unknown =>
  isRecord(value) ? Object.fromEntries(Object.entries(value).filter(([, one]) => !isEmpty(one))) : value;

/** ISO 8601 allows an offset without a colon, as in `2026-11-25T14:00:00.000+0000` of Salesforce. */
const OFFSET = /^(\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d)(\d\d)$/;
const withColon = (value: unknown): unknown => (typeof value === "string" ? value.replace(OFFSET, "$1:$2") : value);

/** The detail of a fact with the same meaning in the notation of the schemas. */
export function asSchemasWrite(detail: unknown): unknown {
  if (!isRecord(detail)) return detail;
  const { lead, occurredAt, until } = detail;
  return {
    ...detail,
    ...("lead" in detail && { lead: withoutEmpty(lead) }),
    ...("occurredAt" in detail && { occurredAt: withColon(occurredAt) }),
    ...("until" in detail && { until: withColon(until) }),
  };
}
