import { describe, expect, it } from "@jest/globals";
import { readableMessage, UNSUBSCRIBE_MARKER, withUnsubscribeLink } from "../../lib/domain/late-values.ts";
import { nameFor } from "../../lib/domain/placeholders.ts";
import { render } from "../../lib/domain/templates.ts";
import { lintStep } from "../../lib/domain/written-sequence.ts";
import { aLead, anItem, aStep } from "./items.ts";

const { workspace } = anItem();
const LINK = "https://example.test/unsubscribe/$&$1";
/** Renders nothing. A template with a tag is never on the fast path. */
const A_TAG = "{% raw %}{% endraw %}";
const MARKERS = /[\u{fdd0}\u{fdd1}]/u;

function sentFor(body: string, lead = aLead(), of = workspace): string {
  const rendered = render(aStep({ body }), lead, of);
  return rendered.kind === "rendered" ? withUnsubscribeLink(rendered.message, LINK).body : rendered.kind;
}

const faultsOf = (body: string) => lintStep({ channel: "sms", subject: null, body, allow: [] });

describe("{{ unsubscribe_url }}", () => {
  it.each(["", A_TAG])("becomes the link when the text is sent, and readable text before: %j", (tag) => {
    const body = `${tag}Bye {{ lead.first_name }}: {{unsubscribe_url}} or {{- unsubscribe_url -}} .`;
    expect(faultsOf(body)).toEqual([]);
    expect(sentFor(body)).toBe(`Bye Ada: ${LINK} or${LINK}.`);
    const rendered = render(aStep({ subject: "{{ unsubscribe_url }}", body }), aLead(), workspace);
    const shown = rendered.kind === "rendered" ? readableMessage(rendered.message) : null;
    expect(shown).toEqual({
      subject: "[unsubscribe link]",
      body: "Bye Ada: [unsubscribe link] or[unsubscribe link].",
    });
    expect(JSON.stringify(rendered)).toMatch(MARKERS);
  });

  it.each([
    "{{ unsubscribe_url | upcase }}",
    "{{ unsubscribe_url | url_encode }}",
    "{{ 'Stop: ' | append: unsubscribe_url }}",
    "{% if unsubscribe_url %}x{% endif %}",
    "{% if unsubscribe_url contains 'http' %}x{% endif %}",
    "{% assign link = unsubscribe_url %}{{ link }}",
    "{% case unsubscribe_url %}{% when 'x' %}x{% endcase %}",
  ])("stands alone, so that nothing can change it: %s", (body) => {
    expect(faultsOf(body)).toEqual([
      expect.objectContaining({
        message: expect.stringContaining("write {{ unsubscribe_url }}, alone and without filters"),
      }),
    ]);
    expect(render(aStep({ body }), aLead(), workspace)).toMatchObject({ kind: "invalid" });
  });

  it.each(["{{ unsubscribe_url.size }}", "{% assign unsubscribe_url = 'x' %}x"])(
    "is no text and no name: %s",
    (body) => {
      expect(faultsOf(body)).toHaveLength(1);
      expect(render(aStep({ body }), aLead(), workspace)).toMatchObject({ kind: "invalid" });
    },
  );

  it.each(["", A_TAG])("cannot come from a lead, a custom field, or the workspace: %j", (tag) => {
    const smuggled = `x${UNSUBSCRIBE_MARKER}\u{fdd0}`;
    const lead = aLead({ company: smuggled, fields: { role: smuggled } });
    const body = `${tag}{{ lead.company }} {{ lead.fields.role }} {{ workspace.name }}`;
    const text = sentFor(body, lead, { ...workspace, name: smuggled });
    expect(text).not.toContain(LINK);
    expect(text).not.toContain("\u{fdd0}");
  });

  it("cannot be written into a template in another way", () => {
    for (const body of [UNSUBSCRIBE_MARKER, `{{ '${UNSUBSCRIBE_MARKER}' }}`, `${A_TAG}${UNSUBSCRIBE_MARKER}`]) {
      expect(faultsOf(body).map(({ message }) => message)).toContainEqual(expect.stringContaining("U+FDD0"));
      expect(render(aStep({ body }), aLead(), workspace)).toMatchObject({ kind: "invalid" });
    }
  });

  it.each(["*|UNSUB|*", "%UNSUBSCRIBELINK%", "{unsubscribe}", "[Unsubscribe]", "{{ unsubscribe_link }}"])(
    "is what the author of %s meant",
    (body) => {
      expect(nameFor(body, [])).toBe("unsubscribe_url");
      expect(faultsOf(body)[0]?.message).toMatch(/write (\{\{ )?unsubscribe_url/);
    },
  );
});
