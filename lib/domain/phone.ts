import {
  type CountryCode,
  getCountryCallingCode,
  isSupportedCountry,
  parsePhoneNumberFromString,
} from "libphonenumber-js/min";
import { normalisePhone } from "./address.ts";

type ReadNumber =
  | {
      /** In E.164, as in `+4930123456`. */
      readonly number: string;
    }
  | {
      /** The error, without the value. */
      readonly fault: string;
    };

/**
 * Parses exactly one phone number. A national number is read as one of the country, an ISO 3166-1 code such as `DE`.
 * Digits without a plus that could also be a number of another country are rejected.
 */
export function readNumber(text: string, country: string | null): ReadNumber {
  const plain = text
    .trim()
    .replace(/^tel:/i, "")
    // Some programs store numbers as decimals.
    .replace(/^(\+?\d{7,})\.0$/, "$1");
  if (ROUNDED.test(plain)) return { fault: "a spreadsheet has rounded it; format the column as text" };
  if (/^\s*(\+|00)/.test(plain)) return international(plain.replace(/^\s*00/, "+"));
  if (country === null || !isSupportedCountry(country)) return { fault: NO_COUNTRY };
  return national(plain, country);
}

const ROUNDED = /^[+-]?\d+([.,]\d+)?e[+-]?\d+$/i;
const NO_COUNTRY = "it has no international prefix, and no country is known (holiday_country of the workspace)";
const NOT_ONE = "it is not exactly one phone number";

function international(text: string): ReadNumber {
  const parsed = parsePhoneNumberFromString(text, { extract: false });
  // Numbering plans grow; a library may not know a valid number yet.
  return parsed?.isPossible() && parsed.ext === undefined ? { number: parsed.number } : { fault: NOT_ONE };
}

function national(text: string, country: CountryCode): ReadNumber {
  const parsed = parsePhoneNumberFromString(text, { defaultCountry: country, extract: false });
  if (!parsed?.isValid() || parsed.ext !== undefined) return { fault: `${NOT_ONE} of ${country}` };
  const digits = text.replaceAll(/\D/g, "");
  const abroad = /^[1-9]/.test(digits) ? parsePhoneNumberFromString(`+${digits}`) : undefined;
  if (abroad?.isValid() && abroad.country === country && abroad.number !== parsed.number)
    return { fault: `it could be +${abroad.countryCallingCode} … or a national number; add the plus` };
  return { number: parsed.number };
}

/** The number in E.164, or the text if it is not exactly one number. */
export function phoneToStore(text: string, country: string | null): string {
  const read = readNumber(text, country);
  return "number" in read ? read.number : text;
}

/**
 * Every normalised form in which a row may store the number in `text`: the international form with and without its
 * plus, and the national form if the number is of the country. Empty without digits.
 */
export function phoneKeys(text: string, country: string | null): readonly string[] {
  const number = phoneToStore(text, country);
  const digits = normalisePhone(number)?.replaceAll("+", "");
  if (digits === undefined) return [];
  return [...new Set([`+${digits}`, digits, ...nationalKeys(`+${digits}`, country)])];
}

function nationalKeys(number: string, country: string | null): readonly string[] {
  const parsed = parsePhoneNumberFromString(number, { extract: false });
  if (!parsed || country === null || !isSupportedCountry(country)) return [];
  return parsed.countryCallingCode === getCountryCallingCode(country)
    ? [parsed.formatNational().replaceAll(/\D/g, "")]
    : [];
}
