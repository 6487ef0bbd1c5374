/** A part of ssh2 that its types do not tell of: the types of host keys that it takes. */
declare module 'ssh2/lib/protocol/constants.js' {
  const constants: { SUPPORTED_SERVER_HOST_KEY: string[] };
  export default constants;
}
