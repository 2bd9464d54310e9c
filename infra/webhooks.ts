import { Duration, Validations } from "aws-cdk-lib";
import { AccessLogFormat } from "aws-cdk-lib/aws-apigateway";
import {
  DomainName,
  HttpApi,
  HttpMethod,
  HttpStage,
  LogGroupLogDestination,
  SecurityPolicy,
} from "aws-cdk-lib/aws-apigatewayv2";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import { Certificate } from "aws-cdk-lib/aws-certificatemanager";
import type { EventBus } from "aws-cdk-lib/aws-events";
import type { Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import { FilterPattern, type LogGroup, MetricFilter } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { METRIC_NAMESPACE, type MetricName } from "../lib/platform/metrics.ts";
import { edgeFunction } from "./edge-function.ts";
import { logGroupNamed } from "./logs.ts";
import { UnsubscribeSecret } from "./unsubscribe-links.ts";
import type { StageProps } from "./worker-function.ts";

type Options = NonNullable<StageProps["configuration"]["webhooks"]>;

interface WebhooksProps extends StageProps {
  readonly options: Options;
  readonly bus: EventBus;
}

const { POST, GET, HEAD } = HttpMethod;

/** Every other request is answered with 404 and does not reach the function. */
const ROUTES: readonly (readonly [path: string, ...methods: HttpMethod[]])[] = [
  ["/calendly/{workspace}", POST],
  ["/calcom/{workspace}", POST],
  ["/facts/{workspace}", POST],
  ["/unsubscribe/{token}", GET, HEAD, POST],
];

/** Booking tools wait ten seconds or longer for an answer. */
const TIME_LIMIT = Duration.seconds(10);

/**
 * Facts by HTTP: an API with the known routes only, and a function outside the VPC and without the database. It may put
 * events on the stage's bus and read the stage's secrets by name.
 */
export class Webhooks extends Construct {
  readonly function: LambdaFunction;
  readonly keys: UnsubscribeSecret;
  readonly stage: HttpStage;
  readonly accessLog: LogGroup;
  readonly domain: DomainName | undefined;
  /** Address of the API, without a slash at its end. */
  readonly url: string;

  constructor(scope: Construct, id: string, props: WebhooksProps) {
    super(scope, id);
    const { names, key, options } = props;
    this.keys = new UnsubscribeSecret(this, "UnsubscribeKeys", names.unsubscribeSecret, key);
    this.function = this.makeFunction(props);
    this.accessLog = logGroupNamed(names.accessLog, this, "AccessLog", props);
    const api = this.makeApi(props);
    this.domain = options.domain && this.makeDomain(options.domain);
    this.stage = this.makeStage(props, api);
    this.countThrottled();
    this.url = options.domain ? `https://${options.domain.name}` : api.apiEndpoint;
  }

  private makeFunction(props: WebhooksProps): LambdaFunction {
    const { names, options } = props;
    const { reservedConcurrency } = options;
    return edgeFunction(this, {
      ...props,
      entry: "webhooks",
      functionName: names.webhooksFunction,
      timeout: TIME_LIMIT,
      secrets: "*",
      overrides: {
        description: "Backstop: receives facts over HTTP, and puts them on the event bus.",
        memorySize: 1024,
        ...(reservedConcurrency !== undefined && { reservedConcurrentExecutions: reservedConcurrency }),
      },
      environment: { UNSUBSCRIBE_SECRET_ARN: this.keys.secretArn },
    });
  }

  private makeApi({ names, options }: WebhooksProps): HttpApi {
    const api = new HttpApi(this, "Api", {
      apiName: names.webhooksFunction,
      description: "Backstop: facts from booking tools and applications, and the unsubscribe page.",
      createDefaultStage: false,
      // Otherwise links could still name the address that does not survive.
      disableExecuteApiEndpoint: options.domain !== undefined,
    });
    const integration = new HttpLambdaIntegration("Function", this.function);
    for (const [path, ...methods] of ROUTES) api.addRoutes({ path, methods, integration });
    Validations.of(api).acknowledge({
      id: "AwsSolutions-APIG4",
      reason: "The function verifies the signature or token of every request, over its raw body.",
    });
    return api;
  }

  private makeDomain({ name, certificateArn }: NonNullable<Options["domain"]>): DomainName {
    return new DomainName(this, "Domain", {
      domainName: name,
      certificate: Certificate.fromCertificateArn(this, "Certificate", certificateArn),
      securityPolicy: SecurityPolicy.TLS_1_2,
    });
  }

  private makeStage({ options, names }: WebhooksProps, httpApi: HttpApi): HttpStage {
    return new HttpStage(this, "Stage", {
      httpApi,
      stageName: "$default",
      autoDeploy: true,
      throttle: { rateLimit: options.requestsPerSecond, burstLimit: options.burst },
      accessLogSettings: {
        destination: new LogGroupLogDestination(this.accessLog),
        format: accessLogFormat(names.webhooksFunction),
      },
      ...(this.domain && { domainMapping: { domainName: this.domain } }),
    });
  }

  private countThrottled(): void {
    const metricName: MetricName = "ThrottledRequests";
    new MetricFilter(this, "Throttled", {
      logGroup: this.accessLog,
      filterPattern: FilterPattern.numberValue("$.status", "=", 429),
      metricNamespace: METRIC_NAMESPACE,
      metricName,
      metricValue: "1",
      dimensions: { service: "$.service" },
    });
  }
}

/** One JSON object per request. It names the route and not the path, which may contain a token, and no address. */
function accessLogFormat(service: string): AccessLogFormat {
  const fields = {
    service,
    requestId: "$context.requestId",
    time: "$context.requestTime",
    route: "$context.routeKey",
    latencyMs: "$context.responseLatency",
    bytes: "$context.responseLength",
    error: "$context.error.responseType",
    integrationStatus: "$context.integrationStatus",
    integrationError: "$context.integrationErrorMessage",
  };
  const texts = Object.entries(fields).map(([name, value]) => `"${name}":"${value}"`);
  // A missing value is written as a hyphen, so that only the status, which is never missing, can be a number.
  return AccessLogFormat.custom(`{${texts.join(",")},"status":$context.status}`);
}
