// Takes the place of the SDK's search for credentials in bundles: Lambda puts those of a function's role into its environment, so that
// files, single sign-on and the services that hand out others need not be carried along.
import { fromEnv } from "@aws-sdk/credential-provider-env";
export const defaultProvider = fromEnv;
export const fromNodeProviderChain = fromEnv;
