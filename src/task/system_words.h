/* system_words.h - numbers of the system in English. */
#ifndef TDM_TASK_SYSTEM_WORDS_H
#define TDM_TASK_SYSTEM_WORDS_H

/* "SIGSEGV", or NULL for one that has no name here. */
const char *tdm_system_words_signal(int signal);

#endif
