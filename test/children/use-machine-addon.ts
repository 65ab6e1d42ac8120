/** Imported into a child before its program: the program then uses the addon over recorded machines. */
import { useNativeAddon } from '../../src/native/addon.js';
import { machineAddon } from '../support/machine-addon.js';

useNativeAddon(machineAddon);
