// Files and the end of a program on an emulated core, by Arm's semihosting (Arm IHI 0102; RISC-V has the same calls).
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace semihosting {

enum Call { kOpen = 0x01, kClose = 0x02, kWrite = 0x05, kRead = 0x06, kExitExtended = 0x20 };
enum Mode { kReadBinary = 1, kWriteBinary = 5 };
constexpr uintptr_t kNone = UINTPTR_MAX;

inline uintptr_t call(Call number, const uintptr_t *arguments) {
#ifdef __riscv
  register uintptr_t result asm("a0") = number;
  register const uintptr_t *given asm("a1") = arguments;
  // The three instructions have to be as they are, uncompressed, and on one page.
  asm volatile(
      ".option push\n .option norvc\n .balign 16\n slli zero, zero, 0x1f\n ebreak\n srai zero, zero, 7\n .option pop"
      : "+r"(result)
      : "r"(given)
      : "memory");
#else
  register uintptr_t result asm("r0") = number;
  register const uintptr_t *given asm("r1") = arguments;
  asm volatile("bkpt 0xab" : "+r"(result) : "r"(given) : "memory");
#endif
  return result;
}

// A file's handle, or `kNone`.
inline uintptr_t open(const char *name, Mode mode) {
  const uintptr_t arguments[] = {reinterpret_cast<uintptr_t>(name), mode, __builtin_strlen(name)};
  return call(kOpen, arguments);
}

// Whether all bytes were read or written.
inline bool transfer(Call direction, uintptr_t handle, const void *memory, size_t bytes) {
  const uintptr_t arguments[] = {handle, reinterpret_cast<uintptr_t>(memory), bytes};
  return call(direction, arguments) == 0;  // it returns how many were not
}

inline bool whole_file(const char *name, Mode mode, const void *memory, size_t bytes) {
  const uintptr_t handle = open(name, mode);
  if (handle == kNone) return false;
  const bool whole = transfer(mode == kReadBinary ? kRead : kWrite, handle, memory, bytes);
  return call(kClose, &handle) == 0 && whole;
}

inline bool read_file(const char *name, void *to, size_t bytes) {
  return whole_file(name, kReadBinary, to, bytes);
}

inline bool write_file(const char *name, const void *from, size_t bytes) {
  return whole_file(name, kWriteBinary, from, bytes);
}

[[noreturn]] inline void finish(int status) {
  constexpr uintptr_t kApplicationExit = 0x20026;
  const uintptr_t arguments[] = {kApplicationExit, static_cast<uintptr_t>(status)};
  call(kExitExtended, arguments);
  for (;;) {
  }
}

}  // namespace semihosting
