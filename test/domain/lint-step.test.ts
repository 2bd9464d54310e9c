import { describe, expect, it } from "@jest/globals";
import { TEMPLATE_NAMES } from "../../lib/domain/templates.ts";
import { lintStep } from "../../lib/domain/written-sequence.ts";

const TAGS = "allowed are assign, case, comment, if, raw, unless";
const FILTERS =
  "allowed are append, capitalize, date, default, downcase, escape, first, last, prepend, remove, replace, split, strip, truncate, truncatewords, upcase, url_encode";
const KNOWN = `known are ${TEMPLATE_NAMES.join(", ")}, unsubscribe_url, slots, and lead.fields.<name> for custom fields`;
const faultsOf = (step: Partial<Parameters<typeof lintStep>[0]>) =>
  lintStep({ channel: "email", subject: "Hello", body: "Hello", allow: [], ...step }).map(
    ({ part, message }) => `${part}: ${message}`,
  );

describe("linting a step", () => {
  it.each([
    [{ subject: "Hello {{ lead.first_name }}", body: "{{ workspace.name }}: {{ lead.company | default: 'you' }}" }],
    [{ body: "{% assign name = lead.first_name %}{{ name }} {% if lead.first_name.size > 3 %}x{% endif %}" }],
    [
      {
        body: "{% comment %}{{ x | y }} {% for %}{% endcomment %}{{ lead.first_name | split: ' ' | first | capitalize }}",
      },
    ],
    [{ body: "{% case lead.company %}{% when 'x', \"y\" or 3 %}a{% else %}b{% endcase %}" }],
    [{ body: "{%- unless lead.company == 'x' and lead.phone -%}a{%- elsif not lead.phone -%}b{%- endunless -%}" }],
    [{ body: "{% assign a = 'x' %}{% assign a = a | append: a %}{{ a }} {{ '2026-03-08' | date: '%B' }}" }],
    [{ body: `${"{% if true %}".repeat(20)}x${"{% endif %}".repeat(20)}` }],
    [{ body: "{% raw %}{{ x }}{% endraw %}" }],
    [{ body: "{% if lead.company == 'x' %}Hi{% endif %}" }],
    [{ channel: "sms" as const, subject: null }],
    [{ channel: "task" as const, subject: " " }],
  ])("finds no fault if the step can be sent: %j", (step) => {
    expect(faultsOf(step)).toEqual([]);
  });

  it.each([
    [{ subject: "" }, ["subject: is empty; an e-mail needs one"]],
    [{ subject: null }, ["subject: is empty; an e-mail needs one"]],
    [{ subject: "\t\n" }, ["subject: is empty; an e-mail needs one"]],
    [{ subject: "Hi\nthere" }, ["subject: contains a line break or another control character"]],
    [{ subject: "Hi\u0007" }, ["subject: contains a line break or another control character"]],
    [{ body: " \n\t" }, ["body: is empty"]],
    [{ body: "a\0b" }, ["body: contains a control character"]],
    [{ body: "a\u001b[2Jb" }, ["body: contains a control character"]],
    [
      { body: "Hi {{ lead.first_name }, you" },
      ['body: an output is not closed "{{ lead.first_name }, you" (line 1, column 4)'],
    ],
    [
      { body: "Hi {% if lead.phone }, you" },
      ['body: a tag is not closed "{% if lead.phone }, you" (line 1, column 4)'],
    ],
    [{ body: "x{% %}" }, ['body: a tag without a name "{% %}" (line 1, column 2)']],
    [{ body: "{% if lead.phone %}call" }, ["body: the tag if is not closed (line 1, column 1)"]],
    [{ body: "\n{% raw %}{{ x }} {% end %}" }, ["body: the tag raw is not closed (line 2, column 1)"]],
    [{ body: "{% comment %}x{% if true %}" }, ["body: the tag comment is not closed (line 1, column 1)"]],
    [{ body: "a{% endif %}" }, ["body: endif without if before it (line 1, column 2)"]],
    [{ body: "a{% endcomment %}" }, ["body: endcomment without comment before it (line 1, column 2)"]],
    [{ body: "a{% else %}" }, ["body: else without if or unless before it (line 1, column 2)"]],
    [{ body: "a{% when 'x' %}" }, ["body: when without case before it (line 1, column 2)"]],
    [{ body: "{% if true %}a{% else %}b{% else %}c{% endif %}" }, ["body: else after else (line 1, column 26)"]],
    [
      { body: "{% if true %}a{% else if %}b{% endif %}" },
      ["body: something after else if; write {% elsif … %} for another condition (line 1, column 15)"],
    ],
    [{ body: "{{ lead.first_name | shout }}" }, [`body: unknown filter shout; ${FILTERS} (line 1, column 22)`]],
    [
      { body: "{{ lead.first_name | map: 'x' }}" },
      [`body: the filter map is not allowed; ${FILTERS} (line 1, column 22)`],
    ],
    [{ body: "{{ lead.first_name | append }}" }, ["body: the filter append takes 1 argument (line 1, column 22)"]],
    [
      { body: "{{ lead.first_name | truncate: 1, 2, 3 }}" },
      ["body: the filter truncate takes 0 to 2 arguments (line 1, column 22)"],
    ],
    [
      { body: "{{ lead.first_name | default: 'x', allow_false: true }}" },
      [
        "body: the filter default takes 1 argument (line 1, column 22)",
        "body: a filter argument with a name (line 1, column 22)",
      ],
    ],
    [
      { body: "{{ lead.first_name | split: ' ' }}" },
      ["body: the filter split without first or last after it (line 1, column 22)"],
    ],
    [{ body: "{{ lead.first_name | first }}" }, ["body: the filter first without split before it (line 1, column 22)"]],
    [
      { body: "{{ lead.first_name | default 'x' }}" },
      [
        `body: a value that cannot be read "lead.first_name | default 'x'"; expected ":" after filter name (line 1, column 30)`,
      ],
    ],
    [
      { body: "{{ lead.first_name, lead.company }}" },
      ['body: something after the value ", lead.company" (line 1, column 19)'],
    ],
    [
      { body: "{{ lead.first_name lead.company }}" },
      ['body: more than one value "lead.first_name lead.company"; write one value and its filters (line 1, column 4)'],
    ],
    [{ body: "{{ }}" }, ["body: a value is missing (line 1, column 4)"]],
    [
      { body: "{% if lead.phone == %}x{% endif %}" },
      [
        'body: an incomplete condition "lead.phone =="; write values with ==, !=, <, >, <=, >=, contains, and, or between them (line 1, column 7)',
      ],
    ],
    [
      { body: "{% if lead.phone == 'x %}x{% endif %}" },
      [`body: a quotation mark that is not closed "lead.phone == 'x" (line 1, column 21)`],
    ],
    [{ body: "{{ 1234567890123456 }}" }, ["body: a number of more than 15 digits (line 1, column 4)"]],
    [
      { body: "{% assign lead = 'x' %}{{ 'x' }}" },
      [
        `body: an assign without a valid name "lead = 'x'"; write {% assign name = value %}, with a name of your own (line 1, column 11)`,
      ],
    ],
    [
      { body: "{% case lead.phone %}{% when lead.email %}x{% endcase %}" },
      [
        `body: a when without a literal lead.email; write texts or numbers, as in {% when "a", "b" %} (line 1, column 30)`,
      ],
    ],
    [
      { body: "{% case lead.phone %}{% when 'a' 'b' %}x{% endcase %}" },
      [
        `body: a when with something else between its literals "'a' 'b'"; write texts or numbers, as in {% when "a", "b" %} (line 1, column 30)`,
      ],
    ],
    [{ body: "{{ lead.name }}" }, [`body: unknown variable lead.name; ${KNOWN} (line 1, column 4)`]],
    [
      { body: "{{ lead.first_name.last }}" },
      [`body: unknown variable lead.first_name.last; write lead.first_name; ${KNOWN} (line 1, column 4)`],
    ],
    ...["first_name", "firstName", "contact.firstname", "FIRST_NAME"].map((name): [object, string[]] => [
      { body: `{{ ${name} }}` },
      [`body: unknown variable ${name}; write lead.first_name; ${KNOWN} (line 1, column 4)`],
    ]),
    [
      { body: "{{#if lead.phone}}x" },
      [
        'body: a value that cannot be read "#if lead.phone"; write {{ name }}, {% if name %} … {% endif %} and {% comment %} … {% endcomment %} (line 1, column 3)',
      ],
    ],
    [{ body: "{{ lead }}" }, [`body: unknown variable lead; ${KNOWN} (line 1, column 4)`]],
    [
      { body: "{{ lead['company'] }}" },
      [`body: a bracket or a range "lead['company']"; write names with dots, and no brackets (line 1, column 8)`],
    ],
    [{ body: "{% if meeting %}x{% endif %}" }, [`body: unknown variable meeting; ${KNOWN} (line 1, column 7)`]],
    [{ body: "{{ lead.company | default: team }}" }, [`body: unknown variable team; ${KNOWN} (line 1, column 28)`]],
    [{ body: "{{ later }}{% assign later = 'x' %}" }, [`body: unknown variable later; ${KNOWN} (line 1, column 4)`]],
    [
      { body: "{% if lead.phone == 'x' %}{% assign a = 'x' %}{% endif %}{{ a }}" },
      ["body: the name assigned in line 1, column 37 has no value here"],
    ],
    [{ body: "{% render 'footer' %}" }, [`body: the tag render is not allowed; ${TAGS} (line 1, column 1)`]],
    [{ body: "x{% greet %}" }, [`body: unknown tag greet; ${TAGS} (line 1, column 2)`]],
    [
      { body: `${"{% if true %}".repeat(21)}x${"{% endif %}".repeat(21)}` },
      ["body: more than 20 nested tags (line 1, column 261)"],
    ],
    ...["lead.phone |", "lead.phone | append: 'a',", "lead.phone | append: , 'a'", "lead.phone | upcase:"].map(
      (value): [object, string[]] => [
        { body: `{{ ${value} }}` },
        [
          `body: something that Liquid ignores ${JSON.stringify(value)}; write one | before each filter, one : before its arguments, and one comma between them (line 1, column 4)`,
        ],
      ],
    ),
    [
      { body: "{{ lead.first_name or 'there' }}" },
      ["body: more than one value \"lead.first_name or 'there'\"; write one value and its filters (line 1, column 4)"],
    ],
    ...["nil", "blank", "empty", "true"].map((word): [object, string[]] => [
      { body: `x{{ lead.company | default: ${word} }}` },
      [`body: a word that is not a text ${word}; write a text in quotation marks, such as "you" (line 1, column 29)`],
    ]),
    [
      { body: "{% if lead.company == 'A' or 'B' %}x{% endif %}" },
      [
        'body: a condition that is always true "\'B\'"; compare it with a value, as in {% if lead.company == "A" or lead.company == "B" %} (line 1, column 30)',
      ],
    ],
    [
      { body: "{% case lead.company %} Hi {% when 'A' %}x{% endcase %}" },
      ["body: something between case and its first when, which is never sent (line 1, column 24)"],
    ],
    [
      { body: "{% case lead.company %}{% if lead.phone %}x{% endif %}{% when 'A' %}x{% endcase %}" },
      ["body: something between case and its first when, which is never sent (line 1, column 24)"],
    ],
    ...["true", "nil", "blank", "not", "contains"].map((name): [object, string[]] => [
      { body: `{% assign ${name} = 'x' %}y` },
      [
        `body: an assign without a valid name "${name} = 'x'"; write {% assign name = value %}, with a name of your own (line 1, column 11)`,
      ],
    ]),
    [
      { body: "{% raw x %}a{% endraw y %}" },
      [
        "body: something after raw x; write {% raw %} (line 1, column 1)",
        "body: something after endraw y; write {% endraw %} (line 1, column 13)",
      ],
    ],
    ...["'now'", "'today'", "'tomorrow'", "5"].map((value): [object, string[]] => [
      { body: `{{ ${value} | date: '%A' }}` },
      [
        `body: a date filter without a date ${value === "5" ? 5 : JSON.stringify(value)}; write a date such as "2026-03-08"; there is no current date, because an approved text must not change (line 1, column 4)`,
      ],
    ]),
    [
      { body: "{{ lead.company | default: \u201cyou\u201d }}" },
      [
        'body: a character that Liquid cannot read "lead.company | default: \u201cyou\u201d"; it contains a typographic quotation mark (U+201C); write the plain character, or delete it (line 1, column 28)',
      ],
    ],
    [
      { body: "{{ lead.\u200bcompany }}" },
      [
        'body: a character that Liquid cannot read "lead.\u200bcompany"; it contains an invisible character (U+200B); write the plain character, or delete it (line 1, column 9)',
      ],
    ],
    [
      { body: '{{ lead.company | default: \u201cyou" }}' },
      [
        'body: an output is not closed "{{ lead.company | default: \u201cyou\\" }}"; it contains a typographic quotation mark (U+201C) (line 1, column 1)',
      ],
    ],
  ])("reports each fault and its place: %j", (step, faults) => {
    expect(faultsOf(step)).toEqual(faults);
  });

  it("reports all faults at once", () => {
    expect(
      faultsOf({
        subject: "{{ lead.nickname | shout }}\n{{ lead.first_name | whisper }}",
        body: "{{ lead.first_name",
      }),
    ).toEqual([
      "subject: contains a line break or another control character",
      `subject: unknown variable lead.nickname; ${KNOWN} (line 1, column 4)`,
      `subject: unknown filter shout; ${FILTERS} (line 1, column 20)`,
      `subject: unknown filter whisper; ${FILTERS} (line 2, column 22)`,
      'body: an output is not closed "{{ lead.first_name" (line 1, column 1)',
    ]);
  });

  it("reports the faults inside a loop, in addition to the loop", () => {
    expect(
      faultsOf({
        body: "{% for i in lead.company %}{{ i | shout }}{% endfor %}{% capture a %}x{% endcapture %}{{ a }}",
      }),
    ).toEqual([
      `body: the tag for is not allowed; ${TAGS} (line 1, column 1)`,
      `body: unknown filter shout; ${FILTERS} (line 1, column 35)`,
      `body: the tag capture is not allowed; ${TAGS} (line 1, column 55)`,
    ]);
  });
});
