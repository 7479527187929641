/** Settings that every API of the cloud is reached by, each under the prefix of its own. */
import { configErrors, setting } from '../runtime/config.ts'
import { describeValue } from '../runtime/errors.ts'

export function endpointSetting(url: string) {
  return setting.text({
    default: url,
    doc: 'Where the API is reached, such as a private endpoint.',
  })
}

export const credentialsSetting = setting.choice({
  default: 'default',
  choices: ['default', 'none'],
  doc: 'Whose credentials requests bear: the application default credentials of the process (workload identity, or the file GOOGLE_APPLICATION_CREDENTIALS), or none, for a server that asks for none.',
})

/** `because` is what follows from the bound for the API in question. */
export function requestTimeoutSetting(because: string) {
  return setting.integer({
    default: 60_000,
    min: 100,
    max: 10 * 60_000,
    unit: 'ms',
    doc: `A request that is not answered after this time has failed and is repeated. ${because}`,
  })
}

/** Throws `CONFIG_INVALID` unless the setting `name` is the URL of a server. */
export function checkEndpoint(name: string, endpoint: string): void {
  if (URL.canParse(endpoint) && /^https?:$/.test(new URL(endpoint).protocol)) return
  throw configErrors.create('CONFIG_INVALID', {
    expected: `${name} to be an http or https URL`,
    received: describeValue(endpoint),
  })
}
