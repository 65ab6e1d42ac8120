/** The part that is used of a package without types. */
declare module 'node-gyp-build' {
  const load: {
    /** The addon for this machine, below `folder`. */
    path(folder: string): string;
  };
  export default load;
}
