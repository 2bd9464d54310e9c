// Replaces the SDK's credential provider chain in bundles. Lambda puts the role's credentials into the environment, so
// the bundle needs no providers for files, single sign-on or other services.
import { fromEnv } from "@aws-sdk/credential-provider-env";
export const defaultProvider = fromEnv;
export const fromNodeProviderChain = fromEnv;
