import { EventBus, Rule } from "aws-cdk-lib/aws-events";
import {
  ConfigurationSet,
  ConfigurationSetEventDestination,
  EmailSendingEvent,
  EventDestination,
  type IConfigurationSet,
  SuppressionReasons,
} from "aws-cdk-lib/aws-ses";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import { configurationSetOf } from "./channels.ts";
import type { Configuration } from "./configuration.ts";
import type { Intake } from "./queue-workers.ts";

interface MailEventsProps {
  readonly configuration: Configuration;
  readonly names: StageNames;
  readonly intake: Intake;
}

/**
 * Reports of SES about a mail, and the name of each on the bus.
 * @see https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-ses.html
 */
const REPORTED: readonly (readonly [EmailSendingEvent, detailType: string])[] = [
  [EmailSendingEvent.BOUNCE, "Email Bounced"],
  [EmailSendingEvent.COMPLAINT, "Email Complaint Received"],
  [EmailSendingEvent.DELIVERY, "Email Delivered"],
  [EmailSendingEvent.REJECT, "Email Rejected"],
  [EmailSendingEvent.RENDERING_FAILURE, "Email Rendering Failed"],
];

/** Events of SES about the stage's mails, forwarded to the intake. SES publishes them to the default bus only. */
export class MailEvents extends Construct {
  constructor(scope: Construct, id: string, { configuration, names, intake }: MailEventsProps) {
    super(scope, id);
    const name = configurationSetOf(configuration) ?? "";
    const configurationSet = configuration.emailConfigurationSet
      ? ConfigurationSet.fromConfigurationSetName(this, "Set", name)
      : this.makeSet(name);
    new ConfigurationSetEventDestination(this, "Destination", {
      configurationSet,
      configurationSetEventDestinationName: names.mailEvents,
      destination: EventDestination.eventBus(EventBus.fromEventBusName(this, "DefaultBus", "default")),
      events: REPORTED.map(([event]) => event),
    });
    new Rule(this, "Rule", {
      ruleName: names.mailEventsRule,
      description: "Backstop: sends what SES reports about the stage's mails to the intake.",
      eventPattern: {
        source: ["aws.ses"],
        detailType: REPORTED.map(([, detailType]) => detailType),
        detail: { mail: { tags: { "ses:configuration-set": [name] } } },
      },
      targets: [intake.asTarget()],
    });
  }

  private makeSet(configurationSetName: string): IConfigurationSet {
    return new ConfigurationSet(this, "Set", {
      configurationSetName,
      reputationMetrics: true,
      // Backstop handles complaints: a complaint about one workspace must not block mails of another, or to a person
      // who opts in again.
      suppressionReasons: SuppressionReasons.BOUNCES_ONLY,
    });
  }
}
