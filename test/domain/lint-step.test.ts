import { describe, expect, it } from "@jest/globals";
import { lintStep } from "../../lib/domain/lint-step.ts";

const KNOWN = "known are lead.first_name, lead.last_name, lead.company, lead.email, lead.phone, workspace.name";
const faultsOf = (step: Partial<Parameters<typeof lintStep>[0]>) =>
  lintStep({ channel: "email", subject: "Hello", body: "Hello", ...step }).map(
    ({ part, message }) => `${part}: ${message}`,
  );

describe("a step that is linted", () => {
  it.each([
    [{ subject: "Hello {{ lead.first_name }}", body: "{{ workspace.name }}: {{ lead.company | default: 'you' }}" }],
    [{ body: "{% assign name = lead.first_name %}{{ name }} {% if lead.first_name.size > 3 %}x{% endif %}" }],
    [{ body: "{% for letter in lead.first_name %}{{ letter }}{{ forloop.index }}{% endfor %}" }],
    [{ body: "{% raw %}{{ x }}{% endraw %}" }],
    [{ body: "{% if lead.company == 'x' %}Hi{% endif %}" }],
    [{ channel: "sms" as const, subject: null }],
    [{ channel: "task" as const, subject: " " }],
  ])("has no fault when it can be sent: %j", (step) => {
    expect(faultsOf(step)).toEqual([]);
  });

  it.each([
    [{ subject: "" }, ["subject: is empty; an e-mail needs one"]],
    [{ subject: null }, ["subject: is empty; an e-mail needs one"]],
    [{ subject: "\t\n" }, ["subject: is empty; an e-mail needs one"]],
    [{ subject: "Hi\nthere" }, ["subject: holds a line break or another control character"]],
    [{ subject: "Hi\u0007" }, ["subject: holds a line break or another control character"]],
    [{ body: " \n\t" }, ["body: is empty"]],
    [{ body: "a\0b" }, ["body: holds a control character"]],
    [{ body: "a\u001b[2Jb" }, ["body: holds a control character"]],
    [{ body: "Hi {{ lead.first_name }, you" }, ['body: output "{{ lead.first_name }, you" not closed, line:1, col:4']],
    [{ body: "{% if lead.phone %}call" }, ["body: tag {% if lead.phone %} not closed, line:1, col:1"]],
    [{ body: "{{ lead.first_name | shout }}" }, ["body: undefined filter: shout, line:1, col:1"]],
    [{ body: "{{ lead.name }}" }, [`body: unknown variable lead.name; ${KNOWN}`]],
    [{ body: "{{ lead.first_name.last }}" }, [`body: unknown variable lead.first_name.last; ${KNOWN}`]],
    [{ body: "{{ lead }}" }, [`body: unknown variable lead; ${KNOWN}`]],
    [{ body: "{{ lead[lead.company] }}" }, [`body: unknown variable lead[lead.company]; ${KNOWN}`]],
    [{ body: "{% if meeting %}x{% endif %}" }, [`body: unknown variable meeting; ${KNOWN}`]],
    [{ body: "{{ lead.company | default: team }}" }, [`body: unknown variable team; ${KNOWN}`]],
    [{ body: "{% render 'footer' %}" }, [expect.stringMatching(/^body: ENOENT: Failed to lookup "footer"/)]],
    [
      { body: "{% include lead.company %}" },
      [expect.stringMatching(/^body: ENOENT: Failed to lookup "Analytical Engines"/)],
    ],
  ])("is told what is wrong with it, and where: %j", (step, faults) => {
    expect(faultsOf(step)).toEqual(faults);
  });

  it("is told everything at once", () => {
    expect(
      faultsOf({
        subject: "{{ lead.nickname | shout }}\n{{ lead.first_name | whisper }}",
        body: "{{ lead.first_name",
      }),
    ).toEqual([
      "subject: holds a line break or another control character",
      "subject: undefined filter: shout, line:1, col:1",
      "subject: undefined filter: whisper, line:2, col:1",
      `subject: unknown variable lead.nickname; ${KNOWN}`,
      'body: output "{{ lead.first_name" not closed, line:1, col:1',
    ]);
  });
});
