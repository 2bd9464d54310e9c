import { afterEach, describe, expect, it, jest } from "@jest/globals";
import fc from "fast-check";
import { type DigestContents, type DigestExample, digestMail, digestSlackText } from "../../lib/domain/digest.ts";

const example = (over: Partial<DigestExample> = {}): DigestExample => ({
  firstName: "Ada",
  lastName: "Lovelace",
  company: "Engines",
  channel: null,
  reason: null,
  detail: null,
  ...over,
});

const contents = (...examples: readonly DigestExample[]): DigestContents => ({
  workspaceName: "Harbour Homes",
  sections: [{ kind: "meeting_booked", count: examples.length, examples }],
});

const several: DigestContents = {
  workspaceName: "Harbour Homes",
  sections: [
    { kind: "meeting_booked", count: 3, examples: [example(), example({ lastName: null, company: null })] },
    { kind: "touch_failed", count: 1, examples: [example({ channel: "email", reason: "smtp_550" })] },
    { kind: "backstop_completed", count: 7, examples: [] },
    { kind: "lead_created", count: 2, examples: [] },
    { kind: "fact_warned", count: 1, examples: [example({ detail: "meeting.booked: meeting: it is a whole day" })] },
    { kind: "connection_failing", count: 1, examples: [example({ detail: "Calendly was last read at noon" })] },
    { kind: "guardrail_paused", count: 1, examples: [example({ detail: "12 of the 150 e-mails bounced" })] },
  ],
};

const TEXT = `Harbour Homes

Meetings booked: 3
- Ada Lovelace, Engines
- Ada
- and 1 more

Touches that failed: 1
- Ada Lovelace, Engines (email: smtp_550)

Sequences of booked leads that the backstop ended: 7

Leads added by a booking, reply or opt-out of an unknown person: 2

Events that were applied with warnings, and started nothing: 1
- meeting.booked: meeting: it is a whole day

Booking tools that cannot be read: bookings without a webhook stay unknown: 1
- Calendly was last read at noon

Sending paused by the guardrail, until a person resumes it: 1
- 12 of the 150 e-mails bounced
`;

describe("a digest", () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it("has the same content as mail and as Slack message", () => {
    expect(digestMail(several)).toMatchObject({ subject: "Harbour Homes: Meetings booked 3, and more", body: TEXT });
    expect(digestSlackText(several)).toBe(TEXT);
    const { html } = digestMail(several);
    expect(html.match(/<li>.*<\/li>/g)).toEqual([
      "<li>Ada Lovelace, Engines</li>",
      "<li>Ada</li>",
      "<li>and 1 more</li>",
      "<li>Ada Lovelace, Engines (email: smtp_550)</li>",
      "<li>meeting.booked: meeting: it is a whole day</li>",
      "<li>Calendly was last read at noon</li>",
      "<li>12 of the 150 e-mails bounced</li>",
    ]);
    expect(html.match(/<h2>.*<\/h2>/g)).toHaveLength(7);
  });

  it("names a lead without a name as such", () => {
    const nameless = example({ firstName: " ", lastName: null, company: null });
    expect(digestMail(contents(nameless)).body).toContain("- a lead without a name\n");
  });

  it("escapes HTML in the mail, and Slack links and mentions in the message", () => {
    const evil = example({ firstName: "<script>alert('1')</script>", lastName: "<!channel>", company: "A & B" });
    const { html } = digestMail(contents(evil));
    expect(html).not.toMatch(/<script|<!channel/);
    expect(html).toContain("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;");
    const text = digestSlackText(contents(evil));
    expect(text).toContain("- &lt;script&gt;alert('1')&lt;/script&gt; &lt;!channel&gt;, A &amp; B");
  });

  it("never executes a name as a template", () => {
    const name = "{{ workspace }}{% raw %}";
    expect(digestMail(contents(example({ firstName: name }))).body).toContain(`- ${name} Lovelace`);
  });

  it("is rendered even if the machine stalls", () => {
    const written = digestMail(contents(example({})));
    let looks = 0;
    jest.spyOn(performance, "now").mockImplementation(() => 10_000 * looks++);
    expect(digestMail(contents(example({})))).toEqual(written);
  });

  it("has a line per lead and no foreign tag, for any names", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("\r\nBcc: a@b.test", "<img src=x>", "\u2028- "),
    );
    fc.assert(
      fc.property(text, text, text, text, (workspaceName, firstName, lastName, company) => {
        const given = { ...contents(example({ firstName, lastName, company })), workspaceName };
        const { subject, body, html } = digestMail(given);
        expect(subject).not.toMatch(/[\r\n]/);
        expect(body.split(/\r\n|[\n\r\u2028\u2029]/).filter((line) => line.startsWith("- "))).toHaveLength(1);
        expect(
          html.match(/<[^>]*>/g)?.filter((tag) => !/^<\/?(!doctype html|html|body|h1|h2|ul|li)>$/.test(tag)),
        ).toEqual([]);
        expect(digestSlackText(given)).not.toMatch(/[<>]/);
      }),
    );
  });
});
