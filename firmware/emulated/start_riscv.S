# Start of a program on an emulated RISC-V core: traps, memory; then main. Symbols are the linker script's.
  .section .vectors, "ax"
  .globl reset
reset:
  la sp, stack_top
  la t0, channel_fault
  csrw mtvec, t0
  la t0, bss_start
  la t1, bss_end
1:
  bgeu t0, t1, 2f
  sw zero, 0(t0)
  addi t0, t0, 4
  j 1b
2:
  la t0, stack_low
  li t1, 0xa5a5a5a5
3:
  bgeu t0, sp, 4f
  sw t1, 0(t0)
  addi t0, t0, 4
  j 3b
4:
  call main
  tail channel_fault
