#pragma once

namespace mg {

// Overwrites 32 KiB of stack below the caller: functions that have returned left their locals there, secrets among them.
void wipe_stack();

}  // namespace mg
