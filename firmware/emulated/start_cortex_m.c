// Start of a program on an emulated Cortex-M: vectors, memory, FPU; then main. Symbols are the linker script's.
#include <stdint.h>

extern uint32_t data_from[], data_start[], data_end[], bss_start[], bss_end[], stack_low[], stack_top[];
int main(void);
void channel_fault(void);

#define CPACR (*(volatile uint32_t *)0xe000ed88)
#define SYST_CSR (*(volatile uint32_t *)0xe000e010)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018)

void reset(void) {
#ifdef __ARM_FP
  CPACR |= 0xfu << 20;
  __asm__ volatile("dsb\n isb");
#endif
  for (uint32_t *to = data_start, *from = data_from; to != data_end;) *to++ = *from++;
  for (uint32_t *to = bss_start; to != bss_end;) *to++ = 0;
  for (volatile uint32_t *to = stack_low; (uint32_t *)to < (uint32_t *)__builtin_frame_address(0) - 16;)
    *to++ = 0xa5a5a5a5u;
  SYST_RVR = 0xffffff;
  SYST_CVR = 0;
  SYST_CSR = 5;  // counts the processor's clock, no interrupt
  main();
}

// The first sixteen; where there is none here, a fault leads nowhere and the core locks up.
__attribute__((section(".vectors"), used)) static const struct {
  uint32_t *stack;
  void (*handlers[15])(void);
} vectors = {stack_top, {reset, channel_fault, channel_fault, channel_fault, channel_fault, channel_fault}};
